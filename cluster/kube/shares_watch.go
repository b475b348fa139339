package kube

import (
	"context"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// The names by which the API server knows what shares are made of.
const (
	resourceSlices         = "resourceslices"
	resourceClaims         = "resourceclaims"
	resourceClaimTemplates = "resourceclaimtemplates"
)

// sharesAgain is when a server that did not answer is asked again.
const sharesAgain = time.Second

// watchShares follows devices and claims where the server has such: asked once, for who does not serve a resource would be
// asked for it for ever. It returns what says that all there is was told.
func (p *Place) watchShares() cache.InformerSynced {
	asked := make(chan struct{})
	var told []cache.InformerSynced
	p.working.Go(func() {
		defer close(asked)
		for {
			err := p.clients.resource.Get().Resource(resourceSlices).Param("limit", "1").Timeout(requestPatience).Do(p.ctx).Error()
			switch {
			case err == nil, apierrors.IsForbidden(err): // it goes on when the rule is there
				told = append(told,
					p.follow(p.clients.resource, resourceSlices, metav1.NamespaceAll, "", &resourcev1.ResourceSlice{}, p.sliceTold, p.sliceGone),
					p.follow(p.clients.resource, resourceClaims, metav1.NamespaceAll, "", &resourcev1.ResourceClaim{}, p.claimTold, p.claimGone))
				return
			case apierrors.IsNotFound(err), p.ctx.Err() != nil:
				return
			}
			p.log.Warn("asking for the devices that can be shared", "error", err)
			select {
			case <-time.After(sharesAgain):
			case <-p.ctx.Done():
				return
			}
		}
	})
	return func() bool {
		select {
		case <-asked:
		default:
			return false
		}
		for i, synced := range told {
			refused := p.missing.has(resourcev1.GroupName, []string{resourceSlices, resourceClaims}[i], "list")
			if !synced() && !refused {
				return false
			}
		}
		return true
	}
}

func (p *Place) sliceTold(o any) {
	p.view.setSlice(o.(*resourcev1.ResourceSlice), true)
	p.rejudge()
}

func (p *Place) sliceGone(o metav1.Object) {
	if slice, ok := o.(*resourcev1.ResourceSlice); ok {
		p.view.setSlice(slice, false)
		p.rejudge()
	}
}

func (p *Place) rejudge() {
	for _, id := range p.view.takeRejudged() {
		p.queue.Add(id)
	}
}

func (p *Place) claimTold(o any) {
	c := o.(*resourcev1.ResourceClaim)
	p.view.setClaim(c.Namespace+"/"+c.Name, sharesOf(c))
}

func (p *Place) claimGone(o metav1.Object) { p.view.setClaim(o.GetNamespace()+"/"+o.GetName(), nil) }

// createClaim makes what the claims of an attempt are made from, unless that is there. Another's of that name is
// [errInTheWay].
func (c *clients) createClaim(ctx context.Context, t *resourcev1.ResourceClaimTemplate) error {
	return createOnce(ctx, c.resource, resourceClaimTemplates, t, &resourcev1.ResourceClaimTemplate{})
}

// deleteClaim takes away what the claims of an attempt were made from: they themselves go with its pods.
func (c *clients) deleteClaim(ctx context.Context, namespace, name, job string) error {
	return deleteOwn(ctx, c.resource, resourceClaimTemplates, namespace, name, job, &resourcev1.ResourceClaimTemplate{})
}
